//! Where tos meets people and programs: the command line and the reports it prints.
