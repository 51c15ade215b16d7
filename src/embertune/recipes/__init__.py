"""Floor 6: one function per user story. README, command line and workbench call these."""
