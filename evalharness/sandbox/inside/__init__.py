"""What runs inside a box. These modules are sent there as text, see only the standard library, and import nothing else
of the package but each other; a box may have another version of Python, from 3.8 on. Every import counts, as a box is
made for each program: `typing` alone takes longer than most programs, so only a type checker imports it.
"""
