"""Work that native code may end, or that goes on beside other work: in processes of their own."""
