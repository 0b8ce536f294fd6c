// Package secretbox encrypts secrets at rest by envelope: each is sealed with a key of its own (AES-256-GCM), and that
// key is wrapped with a master key. It takes the operator's master keys and gives bytes for a column of the database, and must not
// know where they are kept.
//
// A sealed text is
//
//	version    1 byte
//	key id     8 bytes: of the master key, made from the key itself
//	wrapped    60 bytes: the data key under the master key
//	ciphertext the secret under the data key, 28 bytes longer than it
//
// Both encryptions are bound to what the caller says the secret is, e.g. its table, row and column: a sealed text that was copied to
// another place does not open there.
//
// To rotate, put a new master key in front of the old one, rewrap every sealed text, and take the old key out. Rewrapping
// changes the wrapped key alone, and the old key opens what is not rewrapped yet.
package secretbox
