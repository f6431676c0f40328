"""The benchmark of what vinyl adds to the start-up and the memory of a process."""
