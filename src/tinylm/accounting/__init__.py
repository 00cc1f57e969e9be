"""What a model costs, exactly: parameters, FLOPs, memory, time. No torch at import.

shape: what accounting needs to know of a model; parameters, flops, memory: what that model costs;
run_cost: time and money of a whole run; hardware: peak rates and memory of devices; formulas: every count as an
expression; tracing: the bytes a real step holds, the oracle of memory.
"""
