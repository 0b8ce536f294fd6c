package neon

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// domain is below which the endpoints' hosts are.
const domain = region + ".aws.neon.localhost"

// authority is a certificate of its own making for all hosts below domain, and for the address that they are at.
type authority struct {
	certificate, key []byte // PEM
	pair             tls.Certificate
	pool             *x509.CertPool
}

func newAuthority(address net.IP) (authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "*." + domain},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour),
		DNSNames: []string{"*." + domain}, IPAddresses: []net.IP{address}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return authority{}, fmt.Errorf("make a certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return authority{}, fmt.Errorf("encode a key: %w", err)
	}
	a := authority{pool: x509.NewCertPool(),
		certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})}
	a.pool.AppendCertsFromPEM(a.certificate)
	if a.pair, err = tls.X509KeyPair(a.certificate, a.key); err != nil {
		return authority{}, fmt.Errorf("load a certificate: %w", err)
	}
	return a, nil
}

// Certificates are what a client must trust to reach the branches.
func (s *Server) Certificates() *x509.CertPool { return s.tls.pool }

// CertificatePEM is the same as text, for clients that take a file.
func (s *Server) CertificatePEM() []byte { return s.tls.certificate }
