//! End to end: real servers on loopback, one suite, one adapter a server.
