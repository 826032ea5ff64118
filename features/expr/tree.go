// Package expr is the expression language of the project file: a typed subset of
// CEL (the Common Expression Language, cel.dev), parsed and type-checked by cel-go,
// evaluated column by column. It is the only package that knows CEL.
//
// An unknown value, a variable that is missing, makes unknown whatever needs it;
// && and || do not need one side where the other settles them (false && x, true ||
// x), and present(x) asks whether x is there. A condition that is unknown does not
// hold; a value that is unknown is missing. That is SQL's logic too.
package expr

// Type of an expression.
type Type uint8

// The types. Any is that of a variable whose type is not known yet.
const (
	Any Type = iota
	Number
	Boolean
	Text
	Time
	Duration // only between times: time - time, time + duration("24h")
)

// Var is a variable: a column of a source or of the row.
type Var struct {
	Name string
	Type Type
}

// Op of a node.
type Op uint8

// The operations; Args in the order written.
const (
	OpConst Op = iota // Const
	OpVar             // Name
	OpEq
	OpNe
	OpLt
	OpLe
	OpGt
	OpGe
	OpAnd
	OpOr
	OpNot
	OpIn  // Args[0] among Args[1:], constants
	OpAdd // numbers; texts are not joined
	OpSub
	OpMul
	OpDiv // by 0 is unknown
	OpNeg
	OpIf         // Args: condition, then, else; unknown where the condition is
	OpPresent    // of a variable
	OpStartsWith // Args[1] is a constant, as in the next two; bytes are compared
	OpEndsWith
	OpContains
	OpMin // of two or more; unknown if one is
	OpMax
	OpAbs
	OpLog // natural; unknown of what is not above 0
	OpLn1p
	OpFloor
	OpDays // of a duration, as a number with a fraction: microseconds divided by 86.4e9
)

// Node is a checked expression as a tree.
type Node struct {
	Op     Op
	Type   Type
	Args   []*Node
	Name   string  // OpVar
	Number float64 // OpConst of a Number, or Boolean as 0 and 1
	Text   string  // OpConst of a Text
	Micros int64   // OpConst of a Time or Duration
}
