package worker
// ProtocolVersion of the session between a taskmanager and a worker. Each side accepts its own and the one before.
const ProtocolVersion = 1
