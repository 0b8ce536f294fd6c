package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/demo"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/server"
)

// command is the tree of commands. stdout gets results, stderr logs and progress.
func command(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:           "flaresmith",
		Short:         "Full-stack previews for pull requests",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(serveCommand(stderr), doctorCommand(stdout, stderr), sweepCommand(stdout), migrateCommand(), linkCommand(stdout), rotateCommand(stdout), demoCommand(stdout, stderr), bundleCommand(stdout))
	return root
}

func serveCommand(stderr io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the server; the environment configures it (see .env.example)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.FromEnvironment()
			if err != nil {
				return err
			}
			logger := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: c.LogLevel}))
			for _, warning := range c.Warnings {
				logger.Warn("configuration", slog.String("warning", warning))
			}
			if c, err = server.WithApp(cmd.Context(), c, logger, stderr); err != nil {
				return ended(cmd.Context(), err)
			}
			s, err := server.New(cmd.Context(), c, server.Options{Logger: logger})
			if err != nil {
				return err
			}
			return s.Run(cmd.Context())
		},
	}
}

// ended is err unless it was somebody's wish: a program that is told to end before it began ends in order.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func rotateCommand(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate-master-key",
		Short: "Seal stored secrets with the first key of MASTER_ENC_KEY; the others may go afterwards",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.FromEnvironment()
			if err != nil {
				return err
			}
			changed, err := server.RotateMasterKey(cmd.Context(), c)
			if err != nil {
				return err
			}
			result := "nothing to do: what is stored, if anything, is sealed with the first key"
			if changed {
				result = "the GitHub App's secrets are sealed with the first key now; older keys are not needed any more"
			}
			_, err = fmt.Fprintln(stdout, result)
			return err
		},
	}
}

// errAmiss ends doctor after it said what is amiss.
var errAmiss = errors.New("something needs you, see above")

func doctorCommand(stdout, stderr io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look at every account that the environment names, change nothing, and say what works; exit 0 only if all does",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.FromEnvironment()
			if err != nil {
				return err
			}
			progress := func(name string, done, total int64) {
				if done == total {
					fmt.Fprintf(stderr, "fetched %s\n", name)
				}
			}
			var broken error
			amiss := server.Diagnose(cmd.Context(), c, server.Options{Progress: progress}, func(f preview.Finding) {
				broken = errors.Join(broken, server.WriteFinding(stdout, f))
			})
			if amiss > 0 {
				return errAmiss
			}
			return broken
		},
	}
}

func sweepCommand(stdout io.Writer) *cobra.Command {
	var how server.SweepOptions
	cmd := &cobra.Command{
		Use:   "sweep",
		Short: "List what carries Flaresmith's mark at the accounts and belongs to no open pull request",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.FromEnvironment()
			if err != nil {
				return err
			}
			found, kept := 0, 0
			err = server.Sweep(cmd.Context(), c, server.Options{}, how, func(o server.Orphan) {
				found++
				verdict := "deleted"
				if !o.Deleted {
					verdict, kept = "kept   ", kept+1
				}
				fmt.Fprintf(stdout, "%s  %s %s %s: %s\n", verdict, o.Where, o.Kind, o.Name, o.Why)
			})
			if err != nil {
				return err
			}
			hint := ""
			if kept > 0 {
				hint = "; --delete deletes, with --foreign also what may be another server's"
			}
			_, err = fmt.Fprintf(stdout, "%d found, %d deleted%s\n", found, found-kept, hint)
			return err
		},
	}
	cmd.Flags().BoolVar(&how.Delete, "delete", false, "delete what is found")
	cmd.Flags().BoolVar(&how.Foreign, "foreign", false, "with --delete: also what belongs to a repository that this database does not know")
	return cmd
}

func migrateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the server's own tables up to date; serve does it too",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.FromEnvironment()
			if err != nil {
				return err
			}
			return server.Migrate(cmd.Context(), c)
		},
	}
}

func linkCommand(stdout io.Writer) *cobra.Command {
	var validFor time.Duration
	cmd := &cobra.Command{
		Use:   "link OWNER/REPOSITORY",
		Short: "Print a link that shows the status page of a repository to whoever has it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := config.FromEnvironment()
			if err != nil {
				return err
			}
			link, err := server.Link(cmd.Context(), c, args[0], validFor)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(stdout, link)
			return err
		},
	}
	cmd.Flags().DurationVar(&validFor, "for", 24*time.Hour, "how long the link is valid, as is what it opens in a browser")
	return cmd
}

func demoCommand(stdout, stderr io.Writer) *cobra.Command {
	options := demo.Options{Out: stdout, Err: stderr}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play a pull request's life on this machine, then stay up",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo.Run(cmd.Context(), options)
		},
	}
	cmd.Flags().BoolVar(&options.Once, "once", false, "end after the story; exit 0 only if every step was verified")
	cmd.Flags().BoolVar(&options.JSON, "json", false, "with --once: print one JSON object")
	cmd.Flags().BoolVar(&options.Clouds, "clouds", false, "make previews at stand-ins of Neon, Cloudflare and Postman")
	cmd.Flags().StringVar(&options.CloudflareDriver, "cloudflare-driver", "", "with --clouds: how Workers run at Cloudflare, "+strings.Join(config.CloudflareDrivers(), ", "))
	cmd.Flags().BoolVar(&options.Verbose, "verbose", false, "print the server's log")
	return cmd
}

// bundleCommand is what the server calls itself with for each build; it is not for people.
func bundleCommand(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:    server.BundleCommand + " CACHE",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return server.Bundle(cmd.Context(), args[0], cmd.InOrStdin(), stdout)
		},
	}
}
