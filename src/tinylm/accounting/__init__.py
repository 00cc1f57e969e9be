"""What a model costs, exactly: parameters, FLOPs, memory, time. No torch at import.

shape: what accounting needs to know of a model; parameters, flops, elementwise, optimizers: counts of that model;
run_cost: time and money of a whole run; hardware: peak rates and memory of devices; activations, moments, memory: the
bytes of a training step; formulas: every count as an expression; tracing: the bytes a step really holds (with torch).
"""
