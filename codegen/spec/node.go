package spec

// Kind is the JSON type of a node.
type Kind uint8

// The kinds of nodes. The zero value is no node at all.
const (
	Missing Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

func (k Kind) String() string {
	return [...]string{"nothing", "null", "a boolean", "a number", "a text", "a list", "an object"}[k]
}

// Node is a value of the tree. A member of an object carries its key. The tree is read-only once
// it is parsed: YAML aliases share children.
type Node struct {
	Key      string
	Text     string // of a string its value, of a number its literal, of a boolean true or false
	Children []Node
	Line     int32
	Column   int32
	Kind     Kind
}

// Get returns the member of an object with this key, or nil.
func (n *Node) Get(key string) *Node {
	if n == nil || n.Kind != Object {
		return nil
	}
	for i := range n.Children {
		if n.Children[i].Key == key {
			return &n.Children[i]
		}
	}
	return nil
}

// Is tells whether there is a node of that kind; it may be asked of nil.
func (n *Node) Is(kind Kind) bool { return n != nil && n.Kind == kind }

// String returns the text of a string, and "" of everything else.
func (n *Node) String() string {
	if n.Is(String) {
		return n.Text
	}
	return ""
}

// True tells whether the node is the boolean true.
func (n *Node) True() bool { return n.Is(Bool) && n.Text == "true" }
