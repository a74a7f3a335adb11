"""What a program costs on a chip, found from the program alone: nothing is run, no board is needed.

::

    memory       plan_memory(program, target)  → MemoryPlan    RAM for tensors, laid out as ESP-DL lays it out
    parameters   parameter_bytes(program)      → int           RAM for weights, where they are copied from flash
    boards       find_board(name)              → Board         what a board offers; BOARDS, boards_with, own_board
    fit          fit(bytes, plan, …, board)    → Fit           does it fit: yes, or what is missing
    latency      latency(program, target)      → Latency       milliseconds, node by node
    slow         slow_nodes(program, target)   → SlowNode …    nodes that are slow for a reason that can be removed

Behind them: `sharing` (which tensors share memory, and for how long), `chunks` (how memory is cut) and `work` (what one
node does).
"""
