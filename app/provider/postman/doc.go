// Package postman is the provider of preview.KindCollection for Postman: a collection and an environment in one
// workspace there, over its API. It takes an API key, a workspace and the Postman files of the repository, and must not know the
// reconciler, the store or any other provider. Calls go over the transport that it is given, which bounds, budgets
// and repeats them.
//
// # What is made
//
// An environment called N has in Postman an environment N and, if the repository has collection files, a collection N
// with a folder for each of them. No two environments share one, so previews can't be in each other's way.
//
// # Mark and digest
//
// Both hold the owner mark: the environment in a variable that is switched off, the collection in a comment at the end of
// its description. The environment is written last; its mark holds the digest and says which collection is its own. While
// a collection is being changed, no digest is in force. Names are not unique in Postman: what a write left behind whose
// answer never came is found by its name and mark, and all but one of each are removed.
//
// # Ids
//
// Postman gives every item an id of its own, whatever a created collection brings, and makes items anew that are sent
// without. So an update asks for the ids first and sends each item with the one that the item of the same place and name has.
//
// # What does not get there
//
// No secret: the values of secret variables are emptied, and a collection with a known one is refused. And of a
// preview's collection nothing that would run or be used unseen when a person sends a request: scripts, proxies and certificates.
package postman
