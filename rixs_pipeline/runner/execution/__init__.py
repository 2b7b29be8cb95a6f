"""Where work is executed: here, in threads, or in processes on this machine."""
