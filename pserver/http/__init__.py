"""The HTTP server: waitress, pinned and mended. It knows nothing of the rest of the suite (see `server`).

In order of import: limits, phase, socket, pace, file, request, channel, listener, server | probe.
"""
