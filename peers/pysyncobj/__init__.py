"""PySyncObj as a node program: its own transport, journal and thread, behind this protocol.

What is asked of a node is asked of the library's object as its users do; where the protocol wants
to know what that has no method for, `store` reads its attributes, and nothing else does.
"""
