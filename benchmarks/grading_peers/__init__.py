"""The graders that `benchmarks/grading.py` compares, behind one interface.

`ours.py` is codegym, in the process of the benchmark. The others are servers in processes of
their own (`floor.py`, `fresh.py`, `human_eval.py`, `evalplus.py`), which `remote.py` starts, in
`containment.py` where they run programs that a model wrote.
"""
