"""The fuzzing server of the Autobahn testsuite, on loopback alone: ``python2.7 server.py PACKAGES CASE...``.

For Python 2.7. It writes a line of JSON with its port and the cases that it has, then one for each case that ends. A
case is named by its number or by the beginning of it: 1.1.6, 1.1 or 1. It lives until its standard input ends.
"""

import json
import os
import site
import socket
import sys

site.addsitedir(sys.argv[1])

from autobahntestsuite import fuzzing
from twisted.internet import reactor

lines, sys.stdout = sys.stdout, sys.stderr  # the suite prints


def tell(line):
    lines.write(json.dumps(line) + "\n")
    lines.flush()


class Factory(fuzzing.FuzzingServerFactory):
    def logCase(self, result):  # noqa: N802 the suite's name for it
        tell([result["id"], result["behavior"], result["behaviorClose"], result["remoteCloseCode"]])


def numbers(prefix):
    every = [case.__name__[len("Case") :].replace("_", ".") for case in fuzzing.Cases]
    found = [number for number in every if (number + ".").startswith(prefix + ".")]
    if not found:
        sys.exit("the suite has no case " + prefix)
    return found


def wait():
    sys.stdin.read()
    reactor.callFromThread(reactor.stop)


# The suite would listen at every address. And it refuses who names another port than the one that it was told.
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(5)
listener.settimeout(0)
port = listener.getsockname()[1]
cases = [number for prefix in sys.argv[2:] for number in numbers(prefix)]
factory = Factory({"url": "ws://127.0.0.1:%d" % port, "outdir": os.devnull, "cases": cases})  # noqa: UP031 Python 2.7
reactor.adoptStreamPort(listener.fileno(), socket.AF_INET, factory)
reactor.callInThread(wait)
tell({"port": port, "cases": factory.specCases})
reactor.run()
