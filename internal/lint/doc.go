// Package lint is this project's own rules, as tests: who may import whom, what a core must not do, that every package says
// what it is, that files stay readable, that every option is read. It owns the list of layers (layers_test.go) and the list
// of cores (cores_test.go). It has no code that anything links, and it never looks at what only a compiler or a general linter
// can know: `make lint` runs those beside it.
//
// Each rule is a function of plain values with a test of its own on input that breaks it, and a test that applies it to the
// tree.
package lint
