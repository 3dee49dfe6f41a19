// Package thalwegv1 is the wire contracts of Thalweg, generated from the .proto files beside it (make proto): the
// taskmanager's session, the worker's session, the clients' job service, and the records kept in the metadata store. It holds
// no behaviour.
package thalwegv1
