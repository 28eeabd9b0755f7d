"""How fast rxsocket is, side by side with its peers: ``python -m benchmarks`` (extra ``benchmark``).

====================================  ==================================================================================
module                                what it does
====================================  ==================================================================================
``__main__``                          the command line
``short``                             the short form, and what its ratios are held to
``figure``; ``report``                one picture of the results; the tables
``runner``                            runs the rows: in rounds, each client in a process of its own
``results``                           what was measured, and the arithmetic of it
``rows``; ``peers``                   what is measured; who is
``server``                            the process that all clients talk to, faster than each of them
``wire``; ``bulk``; ``certificate``   its frames; its unmasking, with numpy; its TLS, and that of the tests
``content``; ``cpu``                  what the messages say; keeping to one CPU
``clients``                           one module for each peer, and what measures it; ``node`` has that for RxJS
====================================  ==================================================================================
"""
