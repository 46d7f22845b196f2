// Package datadir is for the data directory of a switch that is not running: it
// checks one, shows what is in it, and makes one from a backup. It never repairs
// or changes what is stored.
//
// All of it needs the directory for itself: while a switch, or another of these,
// has it open, it is refused. A data directory and an unpacked backup are the
// same thing; both have these files, and nobody but the store reads them:
//
//	*.log  *.sst  MANIFEST-*  OPTIONS-*  marker.*   the store
//	LOCK                                            held while somebody has it open
//	ballast                                         space that a running switch holds
//	backup-in-progress                              there only while one is read
//
// While a backup is restored, restore-in-progress holds what has come so far: it
// is checked there, and moved to its place when it is good. A directory in which
// that was cut short is refused by everybody; delete what is in it.
package datadir
