"""Who learns: the network by hand and that of torch.nn, and how they are compared."""
