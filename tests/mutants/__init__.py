"""Each rule that an implementation must get right, broken on purpose: do its tests go red?"""
