"""The compiler: an IR graph comes in, fused and compiled kernels go out. Read pipeline.py first."""
