# The picture of README.md: one effect in 44 tissues. Run from the top of the checkout, with covmash and ggplot2 installed.
library(covmash)
set.seed(1)
data <- mash_set_data(gtex_z, 1)
strong <- select_strong_effects(data)
fit <- mash(data, c(cov_canonical(data), cov_ted(data, strong)), verbose = FALSE)
# Significant in many tissues, not in all.
n <- get_n_significant_conditions(fit)
effect <- which.min(abs(n - 30))
plot <- ggplot2::autoplot(fit, type = "effect", effect = effect, data = data)
source("vignettes/small-png.R")
path <- "man/figures/README-effect.png"
grDevices::bmp(path, width = 7, height = 5.5, units = "in", res = 80, type = "cairo")
print(plot)
invisible(grDevices::dev.off())
write_png(few_colours(read_bmp(path)), path)
