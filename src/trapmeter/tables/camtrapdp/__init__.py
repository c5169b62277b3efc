"""Camera Trap Data Packages (Camtrap DP 1.0, https://camtrap-dp.tdwg.org), read and extended with distances."""
