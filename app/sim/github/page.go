package github

import "net/http"

func (s *Server) pageRoutes() (*http.ServeMux, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_codeload/{owner}/{repo}/legacy.tar.gz/{ref...}", s.serveArchive)
	return mux, nil
}
