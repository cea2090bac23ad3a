//! Files that survive: the run log, atomically replaced records, the lock.
