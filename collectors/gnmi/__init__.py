"""gNMI: switches that stream their ports' counters (OpenConfig); needs `fabricscope[gnmi]`."""
