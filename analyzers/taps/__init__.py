"""Several captures of one run: which packets are the same, how clocks differ, what was lost.

`analyzer.TapAnalyzer` is the door; `merge.merge` puts the captures of one run into one order.
Reading files and decoding them belong to the collectors.
"""
