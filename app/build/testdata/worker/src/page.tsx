export const Page = (props: { title: string }) => (
  <html>
    <body>
      <h1>{props.title}</h1>
    </body>
  </html>
);
