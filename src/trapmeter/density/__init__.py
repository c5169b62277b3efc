"""Animal density from camera-trap distance sampling (Howe et al. 2017): the analysis itself.

Point transects only; distances are radial and in metres. `detection` fits and selects detection functions, `survey` reads
stations with their effort and detections, and the modules here estimate density from both.
"""
