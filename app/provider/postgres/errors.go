package postgres

// SQLSTATE codes that are decided by.
const (
	codeInvalidPassword    = "28P01"
	codeTooManyConnections = "53300"
	codeObjectInUse        = "55006"
	codeDependentObjects   = "2BP01"
	codeUndefinedDatabase  = "3D000"
	codeUndefinedObject    = "42704"
	codeInternal           = "XX000" // "tuple concurrently updated"
)
