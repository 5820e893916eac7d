# The parts of scripts/site:
#   Rscript scripts/site.R reference  is every help page, and so every export, in the reference of _pkgdown.yml once?
#   Rscript scripts/site.R build      builds _build/site, without looking anything up in the network
#   Rscript scripts/site.R links      do the links of _build/site lead somewhere, and does no page need another host?

site <- "_build/site"

stop_with <- function(problems) {
  if (length(problems)) {
    writeLines(problems, stderr())
    quit(status = 1)
  }
}

# --- the reference ----------------------------------------------------------------------------------------------------

of_tag <- function(rd, tag) {
  trimws(vapply(Filter(function(part) attr(part, "Rd_tag") == tag, rd), function(part) paste(unlist(part), collapse = ""), ""))
}

check_reference <- function() {
  pages <- lapply(list.files("man", "[.]Rd$", full.names = TRUE), tools::parse_Rd)
  names(pages) <- vapply(pages, of_tag, "", "\\name")
  aliases <- lapply(pages, of_tag, "\\alias")
  page_of <- stats::setNames(rep(names(aliases), lengths(aliases)), unlist(aliases))

  topics <- gsub("`", "", unlist(lapply(yaml::read_yaml("_pkgdown.yml")$reference, `[[`, "contents")))
  listed <- unname(page_of[topics])
  exports <- parseNamespaceFile(basename(getwd()), dirname(getwd()))$exports
  problem <- function(what, which) if (length(which)) paste0("_pkgdown.yml: ", what, ": ", paste(which, collapse = ", "))
  stop_with(c(
    problem("topics without a help page", topics[is.na(listed)]),
    problem("help pages listed twice", unique(listed[duplicated(listed) & !is.na(listed)])),
    problem("help pages that are not listed", setdiff(names(pages), listed)),
    problem("exports without a help page", setdiff(exports, names(page_of)))
  ))
  cat("The reference has", length(listed), "help pages and", length(exports), "exports, each once.\n")
}

# --- the build --------------------------------------------------------------------------------------------------------

html_files <- function() list.files(site, "[.]html$", recursive = TRUE, full.names = TRUE)
read_text <- function(file) paste(readLines(file, encoding = "UTF-8", warn = FALSE), collapse = "\n")
replace_matches <- function(text, pattern, replacement) {
  at <- gregexpr(pattern, text, perl = TRUE)
  regmatches(text, at) <- list(replacement(regmatches(text, at)[[1]]))
  text
}

# LaTeX as MathML, which browsers show without a library. One call of pandoc for all formulas.
mathml <- function(formulas) {
  input <- tempfile(fileext = ".md")
  output <- tempfile(fileext = ".html")
  writeLines(paste0(formulas, collapse = "\n\n"), input, useBytes = TRUE)
  rmarkdown::pandoc_convert(input, "html", "markdown-smart", output, "--mathml", verbose = FALSE)
  made <- regmatches(text <- read_text(output), gregexpr("(?s)<math.*?</math>", text, perl = TRUE))[[1]]
  if (length(made) != length(formulas)) stop("pandoc made ", length(made), " formulas of ", length(formulas), call. = FALSE)
  made
}

entities <- c("&lt;" = "<", "&gt;" = ">", "&amp;" = "&")
plain <- function(text) {
  for (entity in names(entities)) text <- gsub(entity, entities[[entity]], text, fixed = TRUE)
  text
}

# pkgdown before 2.1 leaves formulas to MathJax, and takes it and more from other hosts.
stand_alone <- function(file) {
  text <- read_text(file)
  text <- replace_matches(text, "(?s)\\\\\\(.+?\\\\\\)", function(found) {
    if (length(found)) mathml(paste0("$", trimws(plain(substr(found, 3, nchar(found) - 2))), "$")) else found
  })
  text <- replace_matches(text, "(?s)\\$\\$.+?\\$\\$|\\\\\\[.+?\\\\\\]", function(found) {
    if (length(found)) mathml(paste0("$$", trimws(plain(substr(found, 3, nchar(found) - 2))), "$$")) else found
  })
  text <- gsub("(?s)<script[^>]* src=\"(https?:|file:)?//[^>]*>\\s*</script>", "", text, perl = TRUE)
  text <- gsub("<link[^>]* href=\"https?://[^>]*>", "", text, perl = TRUE)
  writeLines(text, file, useBytes = TRUE)
}

build <- function() {
  options(pkgdown.internet = FALSE)
  unlink(site, recursive = TRUE)
  pkgdown::build_site(
    override = list(destination = site), install = FALSE, new_process = FALSE, preview = FALSE
  )
  for (file in html_files()) stand_alone(file)
}

# --- the links --------------------------------------------------------------------------------------------------------

check_links <- function() {
  files <- normalizePath(html_files())
  pages <- stats::setNames(lapply(files, xml2::read_html), files)
  ids <- lapply(pages, function(page) xml2::xml_text(xml2::xml_find_all(page, "//@id | //a/@name")))
  other_host <- function(link) grepl("^([a-z]+:|//)", link)
  n <- 0
  problems_of <- function(file) {
    page <- pages[[file]]
    here <- substring(file, nchar(normalizePath(site)) + 2)
    needed <- xml2::xml_text(xml2::xml_find_all(page, "//*/@src | //link[@rel='stylesheet']/@href"))
    links <- unique(c(xml2::xml_text(xml2::xml_find_all(page, "//a/@href")), needed))
    links <- links[!other_host(links)]
    path <- utils::URLdecode(sub("[?#].*", "", links))
    target <- normalizePath(ifelse(path == "", file, file.path(dirname(file), path)), mustWork = FALSE)
    target <- ifelse(dir.exists(target), file.path(target, "index.html"), target)
    fragment <- ifelse(grepl("#.", links), utils::URLdecode(sub("^[^#]*#", "", links)), "")
    found <- file.exists(target) &
      (fragment == "" | mapply(function(t, f) is.null(ids[[t]]) || f %in% ids[[t]], target, fragment))
    n <<- n + length(links)
    c(
      if (any(!found)) paste0(here, ": nothing is at ", links[!found]),
      if (any(bad <- other_host(needed) & !startsWith(needed, "data:"))) paste0(here, ": needs ", needed[bad])
    )
  }
  stop_with(unlist(lapply(files, problems_of)))
  cat(n, "links on", length(files), "pages lead somewhere.\n")
}

switch(commandArgs(TRUE)[1],
  reference = check_reference(),
  build = build(),
  links = check_links()
)
