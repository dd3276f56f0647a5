"""Source, guard, merge, chain, output: the way of every target, in this order."""
