"""Tools for tests: disposable clusters, fakes, builders."""
