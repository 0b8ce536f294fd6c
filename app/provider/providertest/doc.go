// Package providertest is the conformance suite that every provider passes. It is linked by tests only.
//
// It takes a provider with a few hooks (a [Suite]) and drives it through a resource's whole life:
// create, observe, apply again, update, adopt, refuse, cancel, delete. It knows no provider.
package providertest
