"""What is to be measured: cells, specifications and the order of their trials.

Plain data that whoever measures, keeps or reads may import; nothing here runs or reads anything.
"""
