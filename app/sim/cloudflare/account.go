package cloudflare

import "net/http"

const userID = "9a7806061c88ada191ed06f989cc3dac"

func (s *Server) getUser(*http.Request) (answer, error) {
	return answer{result: object{"id": userID, "email": "sim@example.com", "username": "sim"}}, nil
}

func (s *Server) verifyToken(*http.Request) (answer, error) {
	return answer{result: object{"id": userID, "status": "active"}}, nil
}

func (s *Server) accountJSON() object {
	return object{"id": s.cfg.AccountID, "name": "Sim", "type": "standard", "settings": object{}}
}

func (s *Server) listAccounts(r *http.Request) (answer, error) {
	return page([]object{s.accountJSON()}, r), nil
}

func (s *Server) getAccount(*http.Request) (answer, error) {
	return answer{result: s.accountJSON()}, nil
}

func (s *Server) listMemberships(r *http.Request) (answer, error) {
	return page([]object{{"id": userID, "status": "accepted", "account": s.accountJSON(), "roles": []string{"Administrator"}}}, r), nil
}

func (s *Server) getAccountSubdomain(*http.Request) (answer, error) {
	return answer{result: object{"subdomain": s.cfg.Subdomain}}, nil
}

// listNothing is a list of what the stand-in does not have.
func (s *Server) listNothing(r *http.Request) (answer, error) { return page(nil, r), nil }
