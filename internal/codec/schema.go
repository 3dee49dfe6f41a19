package codec

// Schema describes a type as it is encoded: the kinds and the names of fields, but no names of types. Two types with equal schemas read each
// other's bytes. Files carry the text, so that a later program whose type has more or fewer fields can find each column by its name.
//
// The text is canonical, without a space that is not needed:
//
//	bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 string bytes time      int is i64, uint is u64, []byte is bytes
//	[n]S  []S  *S  map[S]S  {name S;name S}                           arrays, slices, pointers, maps, structs
//	binary("import/path.Type")                                        has MarshalBinary and UnmarshalBinary
type Schema struct {
	text        string
	fingerprint uint64
	least       int
}

func newSchema(root node) Schema {
	text := string(root.schema(nil))
	return Schema{text: text, fingerprint: HashString(text), least: root.min()}
}

// String is the canonical text.
func (s Schema) String() string { return s.text }

// Fingerprint is a stable 64-bit hash of the text.
func (s Schema) Fingerprint() uint64 { return s.fingerprint }

// MinSize is the least number of bytes that one value takes. Whoever reads a count checks it against the bytes that are there, before making
// room for as many values. It is 0 only for types without content, such as struct{}.
func (s Schema) MinSize() int { return s.least }
