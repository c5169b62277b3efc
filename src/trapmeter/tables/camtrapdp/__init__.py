"""Camera Trap Data Packages (Camtrap DP 1.0, https://camtrap-dp.tdwg.org): read, and written into.

container   a package's files, in a folder or a zip archive
package     its deployments, media and observations as records
moments     which second of which medium an observation is of: boxes and known distances by second
ours        what we write into a row, and how it is told from what others wrote
matching    which observation a measured animal is
write       measured animals put into observations.csv
copy        a package's files copied, some of them replaced
export      the way from results to a package with distances
"""
