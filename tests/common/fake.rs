//! A server that does what a real QEMU will not do on request.
