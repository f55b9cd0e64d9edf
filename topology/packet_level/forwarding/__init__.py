"""Which port a packet leaves a device on: routes, fault tables and the cache of both."""
