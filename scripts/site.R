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
  parts <- Filter(function(part) attr(part, "Rd_tag") == tag, rd)
  vapply(parts, function(part) trimws(paste(unlist(part), collapse = "")), "")
}

check_reference <- function() {
  pages <- lapply(list.files("man", "[.]Rd$", full.names = TRUE), tools::parse_Rd)
  names(pages) <- vapply(pages, of_tag, "", "\\name")
  aliases <- lapply(pages, of_tag, "\\alias")
  page_of <- stats::setNames(rep(names(aliases), lengths(aliases)), unlist(aliases))

  topics <- gsub("`", "", unlist(lapply(yaml::read_yaml("_pkgdown.yml")$reference, `[[`, "contents")))
  listed <- unname(page_of[topics])
  exports <- parseNamespaceFile(basename(getwd()), dirname(getwd()))$exports
  problem <- function(what, which) {
    if (length(which)) paste0("_pkgdown.yml: ", what, ": ", paste(which, collapse = ", "))
  }
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

# Formulas as MathML, which browsers show without a library. `found` are as they stand in a page: \(x\), $$x$$, \[x\].
mathml <- function(found) {
  tex <- substr(found, 3, nchar(found) - 2)
  entities <- c("&lt;" = "<", "&gt;" = ">", "&amp;" = "&")
  for (entity in names(entities)) tex <- gsub(entity, entities[[entity]], tex, fixed = TRUE)
  mark <- ifelse(startsWith(found, "\\("), "$", "$$")
  input <- tempfile(fileext = ".md")
  output <- tempfile(fileext = ".html")
  writeLines(paste0(mark, trimws(gsub("\\s*\n\\s*", " ", tex)), mark, "\n"), input, useBytes = TRUE)
  rmarkdown::pandoc_convert(input, "html", "markdown-smart", output, options = "--mathml")
  converted <- read_text(output)
  made <- regmatches(converted, gregexpr("(?s)<math.*?</math>", converted, perl = TRUE))[[1]]
  if (length(made) != length(found)) stop("pandoc made ", length(made), " formulas of ", length(found), call. = FALSE)
  made
}

# pkgdown before 2.1 leaves formulas to MathJax, and takes it and more from other hosts. What is lost by that,
# pkgdown/extra.js does.
stand_alone <- function(files) {
  texts <- vapply(files, read_text, "")
  latex <- r"{\\\(.+?\\\)|\$\$.+?\$\$|\\\[.+?\\\]}"
  at <- gregexpr(paste0("(?s)<(pre|code)\\b.*?</\\1>(*SKIP)(*F)|", latex), texts, perl = TRUE)
  found <- regmatches(texts, at)
  if (length(unlist(found))) regmatches(texts, at) <- utils::relist(mathml(unlist(found)), found)
  elsewhere <- "(?s)<script[^>]* src=\"(https?:|file:)//[^>]*>\\s*</script>|<link[^>]* href=\"https?://[^>]*>"
  own <- "(?s)<script[^>]* src=\"[./]*pkgdown.js\"[^>]*>\\s*</script>"
  needs <- grepl(elsewhere, texts, perl = TRUE)
  texts[needs] <- gsub(own, "", gsub(elsewhere, "", texts[needs], perl = TRUE), perl = TRUE)
  for (i in seq_along(files)) writeLines(texts[[i]], files[i], useBytes = TRUE)
}

# Links of README.md and CONTRIBUTING.md to files that are not part of the site go to the repository.
repository_links <- function(files) {
  repository <- yaml::read_yaml("_pkgdown.yml")$repo$url$source
  moved <- function(link) {
    path <- sub("^vignettes/(.*)[.]Rmd$", "articles/\\1.html", substr(link, 7, nchar(link) - 1))
    of_source <- c(path, sub("[.]html$", ".md", path))
    of_source <- of_source[file.exists(of_source)]
    elsewhere <- !file.exists(file.path(site, path)) && length(of_source)
    sprintf("href=\"%s\"", if (elsewhere) paste0(repository, of_source[1]) else path)
  }
  for (file in files) {
    html <- read_text(file)
    at <- gregexpr("href=\"[^\":#?]+\"", html)
    found <- regmatches(html, at)[[1]]
    regmatches(html, at) <- list(vapply(found, moved, ""))
    writeLines(html, file, useBytes = TRUE)
  }
}

# Of packages that are not installed the address would be looked up.
look_up_nothing <- function() {
  none <- function() data.frame(Package = character(), URL = character())
  utils::assignInNamespace("CRAN_urls", none, "downlit")
}

build <- function() {
  options(pkgdown.internet = FALSE)
  look_up_nothing()
  unlink(site, recursive = TRUE)
  pkgdown::build_site(
    override = list(destination = site), install = FALSE, new_process = FALSE, preview = FALSE
  )
  # It takes the template of pull requests for a page; and a site map needs an address.
  unlink(file.path(site, c("pull_request_template.html", "sitemap.xml")))
  stand_alone(html_files())
  repository_links(list.files(site, "[.]html$", full.names = TRUE))
}

# --- the links --------------------------------------------------------------------------------------------------------

check_links <- function() {
  files <- normalizePath(html_files())
  pages <- stats::setNames(lapply(files, xml2::read_html), files)
  ids <- lapply(pages, function(html) xml2::xml_text(xml2::xml_find_all(html, "//@id | //a/@name")))
  of_page <- function(file, xpath) unique(xml2::xml_text(xml2::xml_find_all(pages[[file]], xpath)))
  other_host <- function(link) grepl("^([a-z]+:|//)", link)

  leads_somewhere <- function(link, file) {
    path <- utils::URLdecode(sub("[?#].*", "", link))
    target <- normalizePath(if (nzchar(path)) file.path(dirname(file), path) else file, mustWork = FALSE)
    if (dir.exists(target)) target <- file.path(target, "index.html")
    fragment <- utils::URLdecode(sub("^[^#]*#?", "", link))
    file.exists(target) && (!nzchar(fragment) || is.null(ids[[target]]) || fragment %in% ids[[target]])
  }
  n <- 0
  problems_of <- function(file) {
    needed <- of_page(file, "//@src | //link[@rel='stylesheet']/@href")
    links <- unique(c(of_page(file, "//a/@href"), needed))
    links <- links[!other_host(links)]
    n <<- n + length(links)
    dead <- links[!vapply(links, leads_somewhere, NA, file)]
    elsewhere <- needed[other_host(needed) & !startsWith(needed, "data:")]
    c(sprintf("nothing is at %s", dead), sprintf("it needs %s of another host", elsewhere))
  }
  problems <- lapply(files, problems_of)
  # What is in the navigation is on every page.
  pages_with <- split(rep(substring(files, nchar(normalizePath(site)) + 2), lengths(problems)), unlist(problems))
  others <- lengths(pages_with) - 1
  too <- ifelse(others > 0, sprintf(" (%d other pages too)", others), "")
  stop_with(sprintf("%s: %s%s", vapply(pages_with, `[`, "", 1), names(pages_with), too))
  cat(n, "links on", length(files), "pages lead somewhere.\n")
}

switch(commandArgs(TRUE)[1],
  reference = check_reference(),
  build = build(),
  links = check_links()
)
