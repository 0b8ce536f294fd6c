package secretscan

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
)

// secretKind is a kind of secret: the name that people give it, and a value.
type secretKind struct {
	id, name string
	value    func(m maker) string
}

// joined keeps this file free of anything that looks like a secret.
func joined(parts ...string) string { return strings.Join(parts, "") }

func secretKinds() []secretKind {
	uri := func(scheme, host string) func(m maker) string {
		return func(m maker) string { return joined(scheme, "://app:", m.text(alnum, 16+m.IntN(8)), "@", host) }
	}
	plain := func(before, alphabet string, n int) func(m maker) string {
		return func(m maker) string { return before + m.text(alphabet, n) }
	}
	return []secretKind{
		{"GitHub", "GH_TOKEN", func(m maker) string { return githubToken(m.Uint64()) }},
		{"GitHub, fine-grained", "GITHUB_PAT", func(m maker) string { return joined("github", "_pat_", m.text(alnum, 22), "_", m.text(alnum, 59)) }},
		{"GitLab", "GITLAB_TOKEN", plain("gl"+"pat-", urlAlnum[:62], 20)},
		{"npm", "NPM_TOKEN", func(m maker) string {
			return joined("npm", "_", strings.TrimPrefix(githubToken(m.Uint64()), "ghp"+"_"))
		}},
		{"PyPI", "TWINE_PASSWORD", plain("pypi-"+"AgEIcHlwaS5vcmc", urlAlnum, 90)},
		{"AWS, with its pair", "AWS_ACCESS_KEY_ID", plain("AK"+"IA", base32, 16)},
		{"Google", "GOOGLE_API_KEY", plain("AI"+"za", urlAlnum[:62], 35)},
		{"Slack bot", "SLACK_BOT_TOKEN", func(m maker) string {
			return joined("xo", "xb-", m.text(digits[1:], 12), "-", m.text(digits[1:], 13), "-", m.text(alnum, 24))
		}},
		{"Slack webhook", "SLACK_URL", func(m maker) string {
			return joined("https", "://hooks.slack.com/services/T", m.text(upper+digits, 10), "/B", m.text(upper+digits, 10), "/", m.text(alnum, 24))
		}},
		{"Stripe", "STRIPE_KEY", plain("sk"+"_live_", alnum, 24)},
		{"Stripe, restricted", "STRIPE_RESTRICTED", plain("rk"+"_live_", alnum, 24)},
		{"SendGrid", "SENDGRID_API_KEY", func(m maker) string { return joined("SG", ".", m.text(alnum, 22), ".", m.text(alnum, 43)) }},
		{"Twilio", "TWILIO_API_KEY", plain("S"+"K", hexAlnum, 32)},
		{"OpenAI", "OPENAI_API_KEY", func(m maker) string {
			return joined("sk", "-proj-", m.text(urlAlnum[:62], 74), "T3Blb", "kFJ", m.text(urlAlnum[:62], 74))
		}},
		{"Anthropic", "ANTHROPIC_API_KEY", func(m maker) string { return joined("sk-ant-", "api03-", m.text(alnum, 93), "AA") }},
		{"Hugging Face", "HF_TOKEN", plain("hf"+"_", lower+upper, 34)},
		{"DigitalOcean", "DO_TOKEN", plain("dop"+"_v1_", hexAlnum, 64)},
		{"Linear", "LINEAR_KEY", plain("lin"+"_api_", alnum, 40)},
		{"Doppler", "DOPPLER_TOKEN", plain("dp.pt"+".", alnum, 43)},
		{"Grafana", "GRAFANA_TOKEN", grafanaToken},
		{"New Relic", "NEW_RELIC_KEY", plain("NR"+"AK-", upper+digits, 27)},
		{"Postgres", "DATABASE_URL", uri("postgres"+"ql", "db.shop-internal.net:5432/shop")},
		{"Neon", "NEON_URL", func(m maker) string {
			return joined("postgres", "://owner:", "npg", "_", m.text(alnum, 12), "@ep-quiet-lake-", m.text(hexAlnum, 8), "-pooler.eu-central-1.aws.neon.tech/neondb?sslmode=require")
		}},
		{"MySQL", "MYSQL_URL", uri("my"+"sql", "crm.shop-internal.net:3306/crm")},
		{"Redis", "REDIS_URL", func(m maker) string {
			return joined("re", "diss://:", m.text(alnum, 24), "@cache.shop-internal.net:6379/0")
		}},
		{"MongoDB", "MONGO_URL", uri("mongodb"+"+srv", "cluster0.k3x9q.mongodb.net/app")},
		{"basic-auth URL", "REPO_URL", uri("ht"+"tps", "git.shop-internal.net/infra.git")},
		{"Discord webhook", "DISCORD_URL", func(m maker) string {
			return joined("https", "://discord.com/api/webhooks/", m.text(digits[1:], 18), "/", m.text(alnum, 68))
		}},
		{"Cloudflare user token", "CLOUDFLARE_API_TOKEN", plain("cf"+"ut_", alnum, 48)},
		{"Cloudflare account token", "CF_TOKEN", plain("cf"+"at_", alnum, 48)},
		{"Cloudflare global key", "CF_KEY", plain("cf"+"k_", alnum, 48)},
		{"Postman", "POSTMAN_API_KEY", func(m maker) string { return joined("PM", "AK-", m.text(hexAlnum, 24), "-", m.text(hexAlnum, 34)) }},
		{"Neon API", "NEON_API_KEY", plain("na"+"pi_", lower+digits, 64)},
		{"Supabase", "SUPABASE_ACCESS_TOKEN", plain("sb"+"p_", hexAlnum, 40)},
		{"Supabase secret", "SUPABASE_KEY", plain("sb"+"_secret_", alnum, 31)},
		{"Docker Hub", "DOCKER_PASSWORD", plain("dckr"+"_pat_", alnum, 27)},
		{"Groq", "GROQ_API_KEY", plain("gs"+"k_", alnum, 52)},
		{"Figma", "FIGMA_TOKEN", plain("fi"+"gd_", alnum, 40)},
		{"PlanetScale", "PS_PASSWORD", plain("pscale"+"_pw_", alnum, 43)},
		{"Shopify", "SHOPIFY_TOKEN", plain("sh"+"pat_", hexAlnum, 32)},
		{"Databricks", "DATABRICKS_TOKEN", plain("da"+"pi", hexAlnum, 32)},
		{"Datadog", "DATADOG_API_KEY", plain("", lower+digits, 40)},
		{"GitHub refresh", "GH_REFRESH", plain("gh"+"r_", alnum, 76)},
		{"GitHub installation", "GH_APP_TOKEN", func(m maker) string {
			return joined("gh", "s_", m.text(digits[1:], 7), "_", jwt(m, `{"iss":"ghs","aud":"`+m.text(alnum, 60)+`"}`))
		}},
		{"GitLab routable", "GITLAB_TOKEN", func(m maker) string { return gitlabRoutable(m, "gl"+"pat-", ".01") }},
		{"GitLab routable, first form", "CI_TOKEN", func(m maker) string { return gitlabRoutable(m, "gl"+"pat-", "") }},
		{"GitLab deploy, routable, of an instance", "DEPLOY_TOKEN", func(m maker) string { return gitlabRoutable(m, "acme-gl"+"dt-", ".01") }},
		{"GitLab job", "JOB_TOKEN", func(m maker) string { return joined("gl", "cbt-", jwt(m, `{"version":"0.1.0","o":"1","u":"2"}`)) }},
		{"GitLab workspace", "WORKSPACE", plain("gl"+"wt-", alnum, 20)},
		{"Anthropic OAuth", "CLAUDE_CODE_OAUTH_TOKEN", func(m maker) string { return joined("sk-ant-", "oat01-", m.text(alnum, 93), "AA") }},
		{"OpenAI service account", "OPENAI_KEY", func(m maker) string {
			return joined("sk", "-svcacct-", m.text(urlAlnum[:62], 58), "T3Blb", "kFJ", m.text(urlAlnum[:62], 58))
		}},
		{"OpenRouter", "OPENROUTER_API_KEY", plain("sk"+"-or-v1-", hexAlnum, 64)},
		{"xAI", "XAI_API_KEY", plain("xa"+"i-", alnum, 80)},
		{"Replicate", "REPLICATE_API_TOKEN", plain("r"+"8_", alnum, 37)},
		{"NVIDIA", "NVIDIA_API_KEY", plain("nv"+"api-", alnum, 64)},
		{"Pinecone", "PINECONE_API_KEY", func(m maker) string { return joined("pc", "sk_", m.text(alnum, 6), "_", m.text(alnum, 63)) }},
		{"LangSmith", "LANGSMITH_API_KEY", func(m maker) string { return joined("ls", "v2_pt_", m.text(hexAlnum, 32), "_", m.text(hexAlnum, 10)) }},
		{"Google client secret", "GOOGLE_CLIENT_SECRET", plain("GOC"+"SPX-", alnum, 28)},
		{"Google refresh", "GOOGLE_REFRESH_TOKEN", plain("1/"+"/0", alnum, 100)},
		{"Google access", "GOOGLE_TOKEN", plain("ya"+"29.", alnum, 160)},
		{"Gemini", "GEMINI_API_KEY", plain("AQ"+".Ab8", alnum, 50)},
		{"Cloudflare tunnel", "TUNNEL_TOKEN", func(m maker) string {
			return base64.StdEncoding.EncodeToString([]byte(`{"a":"` + m.text(hexAlnum, 32) + `","t":"` + m.uuid() + `","s":"` + base64.StdEncoding.EncodeToString([]byte(m.text(alnum, 32))) + `"}`))
		}},
		{"Turnstile", "TURNSTILE_SECRET_KEY", plain("0x4"+"AAAA", alnum, 28)},
		{"Neon Auth", "STACK_SECRET_SERVER_KEY", plain("ss"+"k_", lower+digits, 52)},
		{"Supabase OAuth", "SUPABASE_OAUTH", plain("sb"+"p_oauth_", hexAlnum, 40)},
		{"Supabase service role", "SUPABASE_SERVICE_ROLE_KEY", func(m maker) string {
			return jwt(m, `{"iss":"supabase","ref":"`+m.text(lower, 20)+`","role":"service_role","iat":1700000000}`)
		}},
		{"webhook secret", "WEBHOOK_SECRET", plain("wh"+"sec_", alnum, 32)},
		{"Stripe organisation", "STRIPE_ORG_KEY", plain("sk"+"_org_live_", alnum, 80)},
		{"Vercel", "VERCEL_TOKEN", plain("vc"+"p_", alnum, 56)},
		{"Vercel Blob", "BLOB_READ_WRITE_TOKEN", func(m maker) string { return joined("vercel_", "blob_rw_", m.text(alnum, 16), "_", m.text(alnum, 30)) }},
		{"Resend", "RESEND_API_KEY", func(m maker) string { return joined("r", "e_", m.text(alnum, 8), "_", m.text(alnum, 24)) }},
		{"Clerk", "CLERK_SECRET_KEY", plain("sk"+"_live_", alnum, 42)},
		{"QStash", "QSTASH_TOKEN", func(m maker) string {
			return base64.StdEncoding.EncodeToString([]byte(`{"UserID":"` + m.uuid() + `","Password":"` + m.text(hexAlnum, 32) + `"}`))
		}},
		{"Databricks OAuth", "DATABRICKS_SECRET", plain("do"+"se", hexAlnum, 32)},
		{"Linear OAuth", "LINEAR_TOKEN", plain("lin"+"_oauth_", hexAlnum, 64)},
		{"Doppler service", "DOPPLER_SERVICE", plain("dp.st"+".prd.", alnum, 43)},
		{"Sentry integration", "SENTRY_TOKEN", plain("sntr"+"yi_", hexAlnum, 64)},
		{"Azure storage", "AZURE_STORAGE_KEY", func(m maker) string { return joined(m.text(alnum, 76), "+A", "St", m.text(alnum, 5), "A==") }},
		{"Azure connection string", "AZURE_STORAGE_CONNECTION_STRING", func(m maker) string {
			return joined("DefaultEndpointsProtocol=https;AccountName=shop;Account", "Key=", m.text(alnum, 86), "==;EndpointSuffix=core.windows.net")
		}},
		{"Azure OpenAI", "AZURE_OPENAI_KEY", func(m maker) string { return joined(m.text(alnum, 52), "JQ", "QJ99", m.text(alnum, 26)) }},
		{"Azure DevOps", "AZURE_DEVOPS_PAT", func(m maker) string { return joined(m.text(alnum, 76), "AZ", "DO", m.text(alnum, 4)) }},
		{"Azure AD", "AZURE_CLIENT_SECRET", func(m maker) string { return joined(m.text(alnum, 3), "8Q", "~", m.text(alnum, 34)) }},
		{"Azure SAS", "SAS_URL", func(m maker) string {
			return joined("https", "://shop.blob.core.windows.net/c?sv=2024-11-04&ss=b&srt=sco&sp=rl&se=2030-01-01T00:00:00Z&si", "g=", m.text(alnum, 43), "%3D")
		}},
		{"Bitbucket", "BITBUCKET_TOKEN", func(m maker) string { return joined("ATC", "TT3xFfGN0", m.text(alnum, 170), "=", m.text(hexAlnum, 8)) }},
		{"Atlassian", "JIRA_TOKEN", func(m maker) string { return joined("ATA", "TT3", m.text(alnum, 177), "=", m.text(hexAlnum, 8)) }},
		{"Notion", "NOTION_TOKEN", func(m maker) string { return joined("nt", "n_", m.text(digits, 11), m.text(alnum, 35)) }},
		{"Notion, older", "NOTION_KEY", plain("sec"+"ret_", alnum, 43)},
		{"Dropbox", "DROPBOX_TOKEN", plain("s"+"l.u.A", alnum, 300)},
		{"Shopify partner", "SHOPIFY_PARTNER", plain("prt"+"api_", hexAlnum, 32)},
		{"Telegram", "BOT_TOKEN", func(m maker) string { return joined(m.text(digits[1:], 10), ":A", "A", m.text(alnum, 33)) }},
		{"Discord bot", "DISCORD_TOKEN", func(m maker) string {
			return joined(base64.RawURLEncoding.EncodeToString([]byte("1"+m.text(digits, 17))), ".", m.text(alnum, 6), ".", m.text(alnum, 38))
		}},
		{"Mapbox", "MAPBOX_TOKEN", func(m maker) string { return joined("s", "k.eyJ1Ijoi", m.text(alnum, 60), ".", m.text(alnum, 22)) }},
		{"Render", "RENDER_API_KEY", plain("rn"+"d_", alnum, 28)},
		{"Railway", "RAILWAY_TOKEN", func(m maker) string { return m.uuid() }},
		{"Terraform", "TF_TOKEN", func(m maker) string { return joined(m.text(alnum, 14), ".atl", "asv1.", m.text(alnum, 67)) }},
		{"Fly.io", "FLY_API_TOKEN", plain("fm"+"2_", alnum, 400)},
		{"CircleCI", "CIRCLE_TOKEN", func(m maker) string { return joined("CCI", "PAT_", m.text(alnum, 22), "_", m.text(hexAlnum, 40)) }},
		{"Buildkite", "BUILDKITE_TOKEN", plain("bk"+"ua_", hexAlnum, 40)},
		{"Tailscale", "TS_AUTHKEY", func(m maker) string { return joined("ts", "key-auth-", m.text(alnum, 12), "CNTRL-", m.text(alnum, 32)) }},
		{"SonarQube", "SONAR", plain("sq"+"a_", hexAlnum, 40)},
		{"Contentful", "CONTENTFUL", plain("CF"+"PAT-", alnum, 43)},
		{"PostHog", "POSTHOG", plain("ph"+"x_", alnum, 43)},
		{"test PyPI", "TWINE_TEST", plain("pypi-"+"AgENdGVzdC5weXBpLm9yZw", urlAlnum, 90)},
		{"age", "AGE_KEY", plain("AGE-SECRET"+"-KEY-1", strings.ToUpper("qpzry9x8gf2tvdw0s3jn54khce6mua7l"), 58)},
		{"private key", "TLS_KEY", func(maker) string { return privateKey() }},
	}
}

func (m maker) uuid() string {
	return joined(m.text(hexAlnum, 8), "-", m.text(hexAlnum, 4), "-4", m.text(hexAlnum, 3), "-a", m.text(hexAlnum, 3), "-", m.text(hexAlnum, 12))
}

// jwt is a JSON Web Token with these claims; its signature is made up.
func jwt(m maker, claims string) string {
	form := base64.RawURLEncoding
	return form.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + form.EncodeToString([]byte(claims)) + "." + m.text(alnum, 43)
}

// gitlabRoutable has the checksum that GitLab documents; version is empty in the first form.
func gitlabRoutable(m maker, prefix, version string) string {
	routing := "o:1\nu:" + m.text(lower, 2)
	payload := base64.RawURLEncoding.EncodeToString(slices.Concat([]byte(m.text(alnum, 16)), []byte(routing), []byte{byte(len(routing))}))
	padded := func(n, size int) string {
		text := strconv.FormatInt(int64(n), 36)
		return strings.Repeat("0", size-len(text)) + text
	}
	token := prefix + payload + version + "." + padded(len(payload), 2)
	return token + padded(int(crc32.ChecksumIEEE([]byte(token))), 7)
}

// grafanaToken has the checksum that Grafana's source shows.
func grafanaToken(m maker) string {
	token := joined("gl", "sa_", m.text(alnum, 32))
	return token + "_" + hex.EncodeToString(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(token))))
}

func privateKey() string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}
