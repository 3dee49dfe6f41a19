// Package prefetch asks for memory before it is needed, by the processor's instruction for that, which Go has no name for.
//
// It is a hint. A processor may drop it for a page whose translation it has not at hand, which in a virtual machine can be most pages of a large
// table, huge or not; then only a read brings the line.
package prefetch
