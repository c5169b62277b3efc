"""The review page: people check and correct the results of `predict` in a browser, on their own machine."""
