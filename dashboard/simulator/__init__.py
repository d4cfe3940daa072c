"""A stand-in gateway built from the measured contract, with faults on demand.

It knows nothing of the client that it is there to test, and needs no database. Start it
in a test by `running.running_gateway`, alone by `manage.py simulate_gateway`.
"""
