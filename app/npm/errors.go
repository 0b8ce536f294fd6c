package npm

import "errors"

// ErrInvalid is returned when a name, version or integrity is not one that npm writes; nothing was fetched.
var ErrInvalid = errors.New("invalid npm reference")

// ErrNotFound is returned when the registry has no such package or version, or does not show it to us.
var ErrNotFound = errors.New("not in the npm registry")

// ErrIntegrity is returned when the registry's tarball is not the one that was pinned.
var ErrIntegrity = errors.New("integrity does not match")

// ErrTooLarge is returned when the tarball is larger than Config.MaxBytes.
var ErrTooLarge = errors.New("tarball is too large")

// ErrUnavailable is returned when the registry could not be reached or failed on every attempt; later it may work.
var ErrUnavailable = errors.New("npm registry is unavailable")
