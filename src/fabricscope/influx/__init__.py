"""InfluxDB and what speaks its line protocol: the only home of influxdb_client.

`address` reads a URL, `points` turns rows into points, `spool` keeps on disk what a server that is
away did not take, `server` speaks HTTP, `influxql` reads, and `store` puts them together.
"""
