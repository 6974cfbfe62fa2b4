"""Published results with bands, one JSON file each; `minicnn.study.results` reads them."""
